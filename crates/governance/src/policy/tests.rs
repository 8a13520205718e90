//! What policies promise.
