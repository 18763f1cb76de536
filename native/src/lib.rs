#![forbid(unsafe_code)]
use pyo3::prelude::*;
#[pymodule]
fn mirror_native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("VERSION", "1")?;
    Ok(())
}
