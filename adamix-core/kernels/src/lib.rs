//! Fused tensor operations for frozen backbones, as a Burn backend extension.
