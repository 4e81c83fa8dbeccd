//! Kernel Keeper: Jupyter kernels that outlive the editor. ARCHITECTURE.md draws the map.

pub mod ids;
pub mod jupyter;
pub mod paths;
pub mod process;
pub mod protocol;
