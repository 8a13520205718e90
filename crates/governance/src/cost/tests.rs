mod books;
mod charges;
mod support;
