//! Editing lines, seen from both ends: the line that the shell gets and the screen that the user sees.

mod completion;
mod editor;
mod terminal;
