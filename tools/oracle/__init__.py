"""An independent PyTorch reading of the method, against which the Rust programs are checked."""
