//! The ledger's optional native core. `ledger._native` is this crate; without it the ledger does the same in Python.
//!
//! Nothing here has a clock, a file, a socket, a thread or randomness of its own.

pub mod backend;
pub mod batch;
pub mod key_cache;
pub mod merkle;
pub mod portable;
#[cfg(feature = "python")]
mod python;

use std::sync::LazyLock;

use crate::backend::Backend;
use crate::portable::Portable;

static PORTABLE: LazyLock<Portable> = LazyLock::new(Portable::default);

/// The backends that this processor can run, the fastest first.
pub fn backends() -> Vec<&'static dyn Backend> {
    vec![&*PORTABLE]
}
