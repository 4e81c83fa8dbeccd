//! The one binary: sidecar, keeper and command line.

fn main() {
    println!("kernel-keeper {}", env!("CARGO_PKG_VERSION"));
}
