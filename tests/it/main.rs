//! The integration tests: one program, one module a theme.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod damage;
mod hosts;
mod machine;

mod web_config;
