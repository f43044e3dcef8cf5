//! The ledger's optional native core. `ledger._native` is this crate; without it the ledger does the same in Python.
//!
//! Nothing here has a clock, a file, a socket, a thread or randomness of its own.

pub mod backend;
pub mod batch;
pub mod canonical;
pub mod envelopes;
#[cfg(target_arch = "x86_64")]
mod ifma;
pub mod key_cache;
#[cfg(target_arch = "x86_64")]
mod lanes;
pub mod macs;
pub mod merkle;
pub mod portable;
#[cfg(feature = "python")]
mod python;
pub mod sha256;
#[cfg(target_arch = "x86_64")]
mod sha256_lanes;
pub mod sparse_tree;
pub mod strict;

use std::sync::LazyLock;

use crate::backend::Backend;
use crate::portable::Portable;

static PORTABLE: LazyLock<Portable> = LazyLock::new(Portable::default);
#[cfg(target_arch = "x86_64")]
static IFMA: LazyLock<Option<ifma::Ifma>> = LazyLock::new(ifma::Ifma::detect);

/// The backends that this processor can run, the fastest first; the last is the portable one.
pub fn backends() -> Vec<&'static dyn Backend> {
    let portable: &dyn Backend = &*PORTABLE;
    #[cfg(target_arch = "x86_64")]
    if let Some(ifma) = &*IFMA {
        return vec![ifma, portable];
    }
    vec![portable]
}
