//! The module `ledger._native`: Python values in, Python values out, and the interpreter's lock released in between.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::backend::{Backend, Item};
use crate::sha256::{BLOCK, Hash, Prefix};
use crate::sparse_tree::{Change, Descent, SparseTree, Tags};
use crate::{backends, batch, envelopes, macs, merkle, portable, strict};

/// The ledger's native core: see `ledger/_native.pyi`.
#[pymodule(name = "_native")]
mod native {
    #[pymodule_export]
    use super::{
        PySparseTree, examine_envelopes, hash_leaves, is_prime_order, merkle_root, merkle_root_of, signature_backends,
        truncated_macs_of_lines, verify_batch, verify_batch_strictly,
    };

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// Raised with every change of a name, an argument or a meaning here, together with `NATIVE_INTERFACE` in
    /// `ledger/crypto/backend.py`: a library built before that change is then refused instead of called wrongly.
    #[pymodule_export]
    const INTERFACE: u32 = 7;
}

#[pyfunction]
fn signature_backends() -> Vec<&'static str> {
    backends().into_iter().map(Backend::name).collect()
}

#[pyfunction]
fn verify_batch<'py>(
    py: Python<'py>,
    items: &Bound<'py, PyAny>,
    entropy: &[u8],
    backend: &str,
) -> PyResult<Bound<'py, PyList>> {
    verify_by(batch::verify, py, items, entropy, backend)
}

#[pyfunction]
fn verify_batch_strictly<'py>(
    py: Python<'py>,
    items: &Bound<'py, PyAny>,
    entropy: &[u8],
    backend: &str,
) -> PyResult<Bound<'py, PyList>> {
    verify_by(strict::verify, py, items, entropy, backend)
}

/// One of the rules over a batch.
type Rule = fn(&dyn Backend, &[Item<'_>], &[u8; 32]) -> Vec<bool>;

fn verify_by<'py>(
    rule: Rule,
    py: Python<'py>,
    items: &Bound<'py, PyAny>,
    entropy: &[u8],
    backend: &str,
) -> PyResult<Bound<'py, PyList>> {
    let entropy = entropy
        .try_into()
        .map_err(|_| PyValueError::new_err(format!("the entropy has {} bytes, not 32", entropy.len())))?;
    let backend = backends()
        .into_iter()
        .find(|known| known.name() == backend)
        .ok_or_else(|| PyValueError::new_err(format!("this processor has no signature backend {backend:?}")))?;
    let parts = items
        .try_iter()?
        .map(|item| item?.extract())
        .collect::<PyResult<Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>)>>>()?;
    let items: Vec<_> = parts.iter().map(|(public, message, signature)| item_of(public, message, signature)).collect();
    let verdicts = py.detach(|| verdicts_of(rule, backend, &items, entropy));
    PyList::new(py, verdicts)
}

/// None if the key or the signature does not have its length: such a thing is no signature, and invalid.
fn item_of<'a>(
    public: &'a Bound<'_, PyBytes>,
    message: &'a Bound<'_, PyBytes>,
    signature: &'a Bound<'_, PyBytes>,
) -> Option<Item<'a>> {
    Some(Item {
        public: public.as_bytes().try_into().ok()?,
        message: message.as_bytes(),
        signature: signature.as_bytes().try_into().ok()?,
    })
}

fn verdicts_of(rule: Rule, backend: &dyn Backend, items: &[Option<Item<'_>>], entropy: &[u8; 32]) -> Vec<bool> {
    let sized: Vec<_> = items.iter().flatten().copied().collect();
    let mut verdicts = rule(backend, &sized, entropy).into_iter();
    items.iter().map(|item| item.is_some() && verdicts.next().unwrap_or(false)).collect()
}

#[pyfunction]
fn is_prime_order(public: &[u8]) -> bool {
    public.try_into().is_ok_and(portable::is_prime_order)
}

#[pyfunction]
fn hash_leaves<'py>(py: Python<'py>, prefix: &[u8], entries: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let entries = bytes_of(entries)?;
    let entries: Vec<_> = entries.iter().map(|entry| entry.as_bytes()).collect();
    let hashes = py.detach(|| Prefix::new(prefix).hash_all(&entries));
    PyList::new(py, hashes.iter().map(|hash| PyBytes::new(py, hash)))
}

#[pyfunction]
fn truncated_macs_of_lines<'py>(
    py: Python<'py>,
    inner: &[u8],
    outer: &[u8],
    text: &[u8],
    size: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let [inner, outer] = [inner, outer].map(<&[u8; BLOCK]>::try_from);
    let (Ok(inner), Ok(outer)) = (inner, outer) else {
        return Err(PyValueError::new_err(format!("a padded key has {BLOCK} bytes")));
    };
    Ok(PyBytes::new(py, &py.detach(|| macs::of_lines(&macs::Key::new(inner, outer), text, size))))
}

#[pyfunction]
fn merkle_root<'py>(py: Python<'py>, leaf_hashes: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let leaves =
        bytes_of(leaf_hashes)?.iter().map(|leaf| digest_of("a leaf hash", leaf)).collect::<PyResult<Vec<Hash>>>()?;
    Ok(PyBytes::new(py, &py.detach(|| merkle::root_of(leaves))))
}

#[pyfunction]
fn merkle_root_of<'py>(py: Python<'py>, prefix: &[u8], entries: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let entries = bytes_of(entries)?;
    let entries: Vec<_> = entries.iter().map(|entry| entry.as_bytes()).collect();
    let root = py.detach(|| merkle::root_of(Prefix::new(prefix).hash_all(&entries)));
    Ok(PyBytes::new(py, &root))
}

#[pyfunction]
fn examine_envelopes<'py>(
    py: Python<'py>,
    raws: &Bound<'py, PyAny>,
    chain: &[u8],
    header_prefix: &[u8],
    record_prefix: &[u8],
) -> PyResult<Option<ExaminedInPython<'py>>> {
    let raws = bytes_of(raws)?;
    let raws: Vec<_> = raws.iter().map(|raw| raw.as_bytes()).collect();
    let prefixes = envelopes::Prefixes { header: Prefix::new(header_prefix), record: Prefix::new(record_prefix) };
    let examined = py.detach(|| envelopes::examine(&raws, chain, &prefixes));
    let Some(examined) = examined else { return Ok(None) };
    Ok(Some((
        PyList::new(py, examined.iter().map(|one| PyBytes::new(py, &one.id)))?,
        PyList::new(py, raws.iter().zip(&examined).map(|(raw, one)| PyBytes::new(py, &raw[one.signed.clone()])))?,
        where_false(examined.into_iter().flat_map(|one| one.surely_canonical)),
    )))
}

/// Ids, what was signed with its signature, and which of all records are not surely canonical.
type ExaminedInPython<'py> = (Bound<'py, PyList>, Bound<'py, PyList>, Vec<usize>);

fn where_false(verdicts: impl Iterator<Item = bool>) -> Vec<usize> {
    verdicts.enumerate().filter(|(_, verdict)| !verdict).map(|(at, _)| at).collect()
}

#[pyclass(name = "SparseTree", module = "ledger._native", frozen)]
struct PySparseTree(SparseTree);

#[pymethods]
impl PySparseTree {
    #[new]
    fn new(leaf_tag: &[u8], node_tag: &[u8]) -> Self {
        Self(SparseTree::new(Tags { leaf: Prefix::new(leaf_tag), node: Prefix::new(node_tag) }))
    }

    #[getter]
    fn root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.root())
    }

    fn update(&self, py: Python<'_>, changes: &Bound<'_, PyAny>) -> PyResult<Self> {
        let changes = changes
            .try_iter()?
            .map(|change| {
                let (key, value): (Bound<'_, PyBytes>, Option<Bound<'_, PyBytes>>) = change?.extract()?;
                Ok((digest_of("a key", &key)?, value.map(|value| digest_of("a value", &value)).transpose()?))
            })
            .collect::<PyResult<Vec<Change>>>()?;
        Ok(Self(py.detach(|| self.0.update(changes))))
    }

    fn update_hashed(
        &self,
        py: Python<'_>,
        keys: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
        key_prefix: &[u8],
        value_prefix: &[u8],
    ) -> PyResult<Self> {
        let (keys, values) = (bytes_of(keys)?, bytes_of(values)?);
        if keys.len() != values.len() {
            return Err(PyValueError::new_err(format!("{} keys have {} values", keys.len(), values.len())));
        }
        let [keys, values] = [&keys, &values].map(|all| all.iter().map(|bytes| bytes.as_bytes()).collect::<Vec<_>>());
        Ok(Self(py.detach(|| {
            let keys = Prefix::new(key_prefix).hash_all(&keys);
            let values = Prefix::new(value_prefix).hash_all(&values);
            self.0.update(keys.into_iter().zip(values.into_iter().map(Some)).collect())
        })))
    }

    fn descend<'py>(&self, py: Python<'py>, key: &Bound<'py, PyBytes>) -> PyResult<DescentInPython<'py>> {
        let key = digest_of("a key", key)?;
        // Another thread can be updating a tree of the same history: wait for it without the interpreter's lock.
        let Descent { leaf, siblings } = py.detach(|| self.0.descend(&key));
        let leaf = leaf.map(|(key, value)| (PyBytes::new(py, &key), PyBytes::new(py, &value)));
        Ok((leaf, siblings.iter().map(|sibling| PyBytes::new(py, sibling)).collect()))
    }
}

/// The leaf met, and the siblings from the top down.
type DescentInPython<'py> = (Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>, Vec<Bound<'py, PyBytes>>);

/// The 32 bytes of a digest; `what` names it if it has another length.
fn digest_of(what: &str, value: &Bound<'_, PyBytes>) -> PyResult<Hash> {
    let value = value.as_bytes();
    value.try_into().map_err(|_| PyValueError::new_err(format!("{what} has {} bytes, not 32", value.len())))
}

/// Takes hold of every `bytes` of a sequence, so that they stay where they are while the lock is released.
fn bytes_of<'py>(values: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    values.try_iter()?.map(|value| Ok(value?.cast_into::<PyBytes>()?)).collect()
}
