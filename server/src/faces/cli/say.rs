//! The one way from the command line's words to people: what stands in them is anybody's, and steers no terminal.
//!
//! A test (tests/it/tidy.rs) sees to it that no other file prints, but `print.rs`, for what code puts out.

use std::io::Write;

use serde::Serialize;

use crate::protocol::Error;
use crate::sessions::plain;

/// Says a sentence on standard output.
macro_rules! say {
    ($($words:tt)*) => { $crate::faces::cli::say::out(&format!($($words)*)) };
}

/// Says one on standard error, beside what programs read.
macro_rules! note {
    ($($words:tt)*) => { $crate::faces::cli::say::err(&format!($($words)*)) };
}

pub(super) use {note, say};

/// Text of several lines on standard output.
pub fn out(text: &str) {
    println!("{}", plain::lines(text));
}

/// The same on standard error.
pub fn err(text: &str) {
    eprintln!("{}", plain::lines(text));
}

/// A table, whose cells are plain already: its colours are ours.
pub fn table(table: &comfy_table::Table) {
    println!("{table}");
}

/// A value for programs. A reader that has seen enough, such as `head`, is no failure.
pub fn json(value: &impl Serialize) -> Result<(), Error> {
    let _ = writeln!(std::io::stdout(), "{}", plain::json(value));
    Ok(())
}

/// A value for programs, in one line.
pub fn json_line(value: &impl Serialize) {
    let text = serde_json::to_string(value).unwrap_or_default();
    println!("{}", plain::in_json(&text));
}

/// Asks for something on standard error; the answer is typed into the same line.
pub fn ask(prompt: &str) {
    eprint!("{}", plain::coloured(prompt));
}

/// Part of a log, as it grows.
pub fn log(text: &str) {
    print!("{}", plain::lines(text));
    let _ = std::io::stdout().flush();
}

/// Begins the screen anew, on a terminal.
pub fn clear_screen() {
    print!("\x1b[2J\x1b[H");
}
