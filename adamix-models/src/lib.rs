//! Frozen backbones and the places where adaptation modules sit in them.
