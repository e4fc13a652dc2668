//! The source `llama`: what servers of many builds answered, and servers that misbehave.
//!
//! `fixtures/llama/captures` is output of real llama-servers that the project's founders ran; the
//! servers of these tests are stand-ins that answer with it, and `real` has real ones.

mod answers;
mod captures;
mod children;
mod sleep;
mod speed;
pub(crate) mod stand_in;
mod vllm;
