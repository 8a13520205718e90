//! Tests of breakers.
