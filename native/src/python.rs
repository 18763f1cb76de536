//! The Python module `mirror_native`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyTuple};

use crate::engine::{Checked, Engine, NewFacts, StateColumns, StoredRecord, Verified};
use crate::json;
use crate::settings::Settings;
use crate::stored::{ArrivalRow, RecordRow, StateRow, TotalsRow};
use crate::tables::{Layout, TableWriter, WholeRecord};
use crate::tree::{nodes, Leaf};

/// Columns of `record` after the id.
type RecordInput = (
    PyBackedBytes,
    PyBackedStr,
    PyBackedStr,
    PyBackedStr,
    PyBackedStr,
    i64,
    PyBackedBytes,
);
/// A row of `arrival`.
type ArrivalInput = (i64, i64, i64, PyBackedStr, PyBackedBytes, PyBackedBytes);
/// Columns of `record_totals` after the id.
type TotalsInput = (usize, usize, usize, PyBackedBytes);
type StoredInput = (RecordInput, Vec<ArrivalInput>, TotalsInput);
/// A row of `state`.
type StateInput = (
    i64,
    PyBackedBytes,
    PyBackedBytes,
    i64,
    i64,
    i64,
    PyBackedBytes,
    PyBackedBytes,
    PyBackedBytes,
);

fn stored<'a>((record, arrivals, totals): &'a StoredInput) -> StoredRecord<'a> {
    let (digest, year, suffix, kind, source_id, version, value) = record;
    let record = RecordRow {
        digest,
        year,
        suffix,
        kind,
        source_id,
        version: *version,
        value,
    };
    let arrival = |row: &'a ArrivalInput| {
        let (id, record_id, run_id, member, content, checksum) = row;
        let (id, record_id, run_id) = (*id, *record_id, *run_id);
        ArrivalRow {
            id,
            record_id,
            run_id,
            member,
            content,
            checksum,
        }
    };
    let (events, receipts, claims, checksum) = totals;
    let (events, receipts, claims) = (*events, *receipts, *claims);
    let totals = TotalsRow {
        events,
        receipts,
        claims,
        checksum,
    };
    StoredRecord {
        record,
        arrivals: arrivals.iter().map(arrival).collect(),
        totals,
    }
}

fn state_row(row: &StateInput) -> StateRow<'_> {
    StateRow {
        record_id: row.0,
        digest: &row.1,
        core_digest: &row.2,
        valid_event_count: row.3,
        invalid_event_count: row.4,
        equivocation_count: row.5,
        totals_checksum: &row.6,
        outline: &row.7,
        checksum: &row.8,
    }
}

/// An engine for one key set, one table of types and one set of limits.
#[pyclass(name = "Engine", frozen)]
struct PyEngine(Engine);

#[pymethods]
impl PyEngine {
    /// Raises ValueError if the settings are not what this version understands.
    #[new]
    fn new(settings: &[u8], dictionary: &[u8]) -> PyResult<PyEngine> {
        let read = json::read(settings).and_then(|value| Settings::read(&value));
        let settings = read.ok_or_else(|| PyValueError::new_err("settings of another version"))?;
        Ok(PyEngine(Engine::new(settings, dictionary)))
    }

    /// How many times a panic was caught; each such item took the other way.
    #[getter]
    fn panics(&self) -> usize {
        self.0.panics()
    }

    fn verify<'py>(
        &self,
        py: Python<'py>,
        bundles: Vec<(PyBackedBytes, bool)>,
        now: i64,
        encode: bool,
    ) -> PyResult<Vec<Option<Bound<'py, PyTuple>>>> {
        let found = py.detach(|| {
            let texts: Vec<(&[u8], bool)> = bundles
                .iter()
                .map(|(data, is_packed)| (&data[..], *is_packed))
                .collect();
            self.0.verify(&texts, now, encode)
        });
        convert(found, |one| verified(py, one))
    }

    fn extend<'py>(
        &self,
        py: Python<'py>,
        items: Vec<(StoredInput, PyBackedBytes)>,
    ) -> PyResult<Vec<Option<Bound<'py, PyTuple>>>> {
        let found = py.detach(|| {
            let items: Vec<(StoredRecord<'_>, &[u8])> = items
                .iter()
                .map(|(one, content)| (stored(one), &content[..]))
                .collect();
            self.0.extend(&items)
        });
        convert(found, |one| new_facts(py, one))
    }

    fn replay<'py>(
        &self,
        py: Python<'py>,
        items: Vec<(StoredInput, Option<StateInput>)>,
    ) -> PyResult<Vec<Option<Bound<'py, PyTuple>>>> {
        let found = py.detach(|| {
            let items: Vec<(StoredRecord<'_>, Option<StateRow<'_>>)> = items
                .iter()
                .map(|(one, row)| (stored(one), row.as_ref().map(state_row)))
                .collect();
            self.0.replay(&items)
        });
        convert(found, |(one, is_stored)| {
            (state(py, one)?, is_stored).into_pyobject(py)
        })
    }

    fn check<'py>(
        &self,
        py: Python<'py>,
        items: Vec<(StoredInput, StateInput)>,
    ) -> PyResult<Vec<Option<Bound<'py, PyTuple>>>> {
        let found = py.detach(|| {
            let items: Vec<(StoredRecord<'_>, StateRow<'_>)> = items
                .iter()
                .map(|(one, row)| (stored(one), state_row(row)))
                .collect();
            self.0.check(&items)
        });
        convert(found, |Checked { key_ids, citing }| {
            (key_ids, citing).into_pyobject(py)
        })
    }
}

fn convert<'py, T>(
    found: Vec<Option<T>>,
    one: impl Fn(T) -> PyResult<Bound<'py, PyTuple>>,
) -> PyResult<Vec<Option<Bound<'py, PyTuple>>>> {
    found
        .into_iter()
        .map(|item| item.map(&one).transpose())
        .collect()
}

fn verified<'py>(py: Python<'py>, one: Verified) -> PyResult<Bound<'py, PyTuple>> {
    let facts = one.facts.map(|facts| new_facts(py, facts)).transpose()?;
    (one.pith_number, one.events, one.receipts, facts).into_pyobject(py)
}

fn new_facts<'py>(py: Python<'py>, facts: NewFacts) -> PyResult<Bound<'py, PyTuple>> {
    let record = &facts.record;
    let digest = PyBytes::new(py, &record.digest);
    let columns = (
        &digest,
        &record.year,
        &record.suffix,
        &record.kind,
        &record.source_id,
        record.version,
        PyBytes::new(py, &record.packed),
    );
    let content = PyBytes::new(py, &facts.content);
    let key_ids = PyTuple::new(py, facts.key_ids)?;
    let counts = (facts.claims, facts.receipts, facts.events);
    let state = state(py, facts.state)?;
    (
        &digest, columns, counts.0, counts.1, counts.2, content, key_ids, state,
    )
        .into_pyobject(py)
}

fn state<'py>(py: Python<'py>, columns: StateColumns) -> PyResult<Bound<'py, PyTuple>> {
    let state = columns.state;
    (
        PyBytes::new(py, &state.digest),
        PyBytes::new(py, &state.core_digest),
        state.valid_event_count,
        0,
        state.equivocation_count,
        PyBytes::new(py, &columns.outline),
        state.citing,
    )
        .into_pyobject(py)
}

/// A stored record, its state, source and time of each arrival, title and abstract, and checks.
type WholeInput = (
    StoredInput,
    StateInput,
    Vec<(PyBackedStr, Option<PyBackedStr>)>,
    Option<(PyBackedStr, PyBackedStr)>,
    Option<PyBackedStr>,
    Vec<(PyBackedStr, PyBackedStr, PyBackedStr)>,
);

fn whole(input: &WholeInput) -> WholeRecord<'_> {
    let (one, state, origins, title, summary, checks) = input;
    WholeRecord {
        stored: stored(one),
        state: state_row(state),
        origins: origins
            .iter()
            .map(|(source, at)| (&source[..], at.as_deref()))
            .collect(),
        title: title
            .as_ref()
            .map(|(text, source)| (&text[..], &source[..])),
        summary: summary.as_deref(),
        checks: checks
            .iter()
            .map(|(id, status, at)| (&id[..], &status[..], &at[..]))
            .collect(),
    }
}

/// Makes SQLite files with the rows of records, for analysis copies.
#[pyclass(name = "TableWriter", frozen)]
struct PyTableWriter(TableWriter);

#[pymethods]
impl PyTableWriter {
    /// Raises ValueError if the layout is not what this version understands.
    #[new]
    fn new(layout: &[u8], dictionary: &[u8]) -> PyResult<PyTableWriter> {
        let read = json::read(layout).and_then(|value| Layout::read(&value));
        let layout = read.ok_or_else(|| PyValueError::new_err("tables of another version"))?;
        Ok(PyTableWriter(TableWriter::new(layout, dictionary)))
    }

    /// How many times a panic was caught; each such record took the other way.
    #[getter]
    fn panics(&self) -> usize {
        self.0.panics()
    }

    /// Returns a file, and for each record whether its rows are in it.
    fn part<'py>(
        &self,
        py: Python<'py>,
        items: Vec<WholeInput>,
    ) -> Option<(Bound<'py, PyBytes>, Vec<bool>)> {
        let (file, done) = py.detach(|| {
            let records: Vec<WholeRecord<'_>> = items.iter().map(whole).collect();
            self.0.part(&records)
        })?;
        Some((PyBytes::new(py, &file), done))
    }
}

/// Digest and suffix of a record, and the row of its state.
type LeafInput = (PyBackedBytes, PyBackedStr, StateInput);

fn leaf((record, suffix, row): &LeafInput) -> Leaf<'_> {
    Leaf {
        record,
        suffix,
        state: state_row(row),
    }
}

/// Returns prefix, size and digest of the nodes of so many digits; None if a leaf is damaged.
#[pyfunction]
fn tree_nodes<'py>(
    py: Python<'py>,
    leaves: Vec<LeafInput>,
    depth: usize,
) -> Option<Vec<(String, usize, Bound<'py, PyBytes>)>> {
    let found = py.detach(|| {
        let leaves: Vec<Leaf<'_>> = leaves.iter().map(leaf).collect();
        nodes(&leaves, depth)
    })?;
    let found = found.into_iter();
    Some(
        found
            .map(|(prefix, one)| (prefix, one.size, PyBytes::new(py, &one.digest)))
            .collect(),
    )
}

#[pymodule]
fn mirror_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // A panic is counted, and Python says so; the default hook would print a trace for each.
    std::panic::set_hook(Box::new(|_| ()));
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add("RULES", crate::RULES)?;
    module.add_function(wrap_pyfunction!(tree_nodes, module)?)?;
    module.add_class::<PyTableWriter>()?;
    module.add_class::<PyEngine>()
}
