//! Integration tests: the real binary over its real standard input and output, with real kernels.
//!
//! One test binary, so that it links once. Each test has its own state and runtime folder, and leaves no process behind.

mod bad_input;
mod driver;
mod kernels;
mod sessions;
mod world;
