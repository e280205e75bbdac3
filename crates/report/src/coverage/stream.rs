//! Rendering on all cores, written in order.

use rayon::prelude::*;

use crate::ReportError;

/// How many pieces are held at once: enough for all cores, little enough for the memory.
const CHUNK: usize = 16;

/// Renders each item and hands the results to `sink`, in the items' order.
pub(super) fn in_order<T: Sync, E: From<ReportError>>(
    items: &[T],
    render: impl Fn(usize, &T) -> Result<Vec<u8>, ReportError> + Sync,
    sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    for (number, chunk) in items.chunks(CHUNK).enumerate() {
        let pieces: Vec<Vec<u8>> = chunk
            .par_iter()
            .enumerate()
            .map(|(at, item)| render(number * CHUNK + at, item))
            .collect::<Result<_, ReportError>>()?;
        for piece in pieces {
            sink(&piece)?;
        }
    }
    Ok(())
}
