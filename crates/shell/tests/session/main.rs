//! What a user reads, on a pretended machine whose clock the test moves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bans;
mod demo;
mod desk;
mod governance;
mod json;
mod policy;
mod priority;
mod refusals;
mod replays;
mod secrets;
mod start;
mod time;
mod traffic;
mod vt100;
