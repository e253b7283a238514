//! Plain 64-bit implementations that the tests compare with.
