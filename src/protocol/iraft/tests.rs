//! Tests of the whole replica that a story cannot tell.
