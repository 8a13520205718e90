//! The shell: what a user types and sees, without a terminal, a clock or a heap of its own.
//!
//! Bytes from a serial line go into an [`editor::Editor`], which gives back lines; [`words::Words`] splits a
//! line, [`command::parse`] checks it against the one table of commands, and the answer is drawn with
//! [`render`]. [`complete`] and [`help`] read the same table. A [`session::Session`] joins all this; it drives an
//! [`engine::Engine`], and what it needs of the machine is [`system::System`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod command;
mod commands;
pub mod complete;
pub mod editor;
pub mod engine;
pub mod files;
pub mod help;
pub mod history;
pub mod overload;
mod random;
pub mod render;
pub mod replay;
pub mod screen;
pub mod session;
pub mod system;
pub mod term;
pub mod words;
