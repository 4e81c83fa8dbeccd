//! Integration tests: the real binary over its real standard input and output, with real kernels.
//!
//! One test binary, so that it links once. Each test has its own state and runtime folder, and leaves no process behind.

mod adoption;
mod agents;
mod alike;
mod asking;
mod attaching;
mod bad_input;
mod cli;
mod console;
mod conversations;
mod damage;
mod driver;
mod edges;
mod executing;
mod figures;
mod foreign;
mod harmless;
mod index;
mod kernels;
mod moves;
mod nothing_lost;
mod offers;
mod others;
mod questions;
mod races;
mod recovering;
mod saving;
mod security;
mod sessions;
mod sharing;
mod sizes;
mod snapshots;
mod specs;
mod spelling;
mod steering;
mod tidy;
mod together;
mod tokens;
mod undo;
mod widgets;
mod windows;
mod world;
