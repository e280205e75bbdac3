//! Rendering on all cores, written in order.

use rayon::prelude::*;

use crate::ReportError;

/// How many pieces are made while others are written: enough for all cores, little enough for the memory.
const CHUNK: usize = 16;

/// Renders each item and hands the results to `write`, in the items' order. While some are written, the next are made.
pub(super) fn in_order<T: Sync, P: Send, E: From<ReportError>>(
    items: &[T],
    render: impl Fn(usize, &T) -> Result<P, ReportError> + Sync,
    mut write: impl FnMut(P) -> Result<(), E>,
) -> Result<(), E> {
    let mut ready: Result<Vec<P>, ReportError> = Ok(Vec::new());
    for (number, chunk) in items.chunks(CHUNK).enumerate() {
        let made = std::mem::replace(&mut ready, Ok(Vec::new()))?;
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| {
                let pieces = chunk.par_iter().enumerate();
                ready = pieces.map(|(at, item)| render(number * CHUNK + at, item)).collect();
            });
            made.into_iter().try_for_each(&mut write)
        })?;
    }
    ready?.into_iter().try_for_each(write)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(count: usize, broken: usize, full: usize) -> (Vec<usize>, Result<(), String>) {
        let items: Vec<usize> = (0..count).collect();
        let render = |at: usize, item: &usize| {
            assert_eq!(at, *item);
            if at == broken {
                Err(ReportError::Template { page: at.to_string(), source: source() })
            } else {
                Ok(at)
            }
        };
        let mut pieces = Vec::new();
        let done = in_order::<_, _, Failed>(&items, render, |piece| {
            if pieces.len() == full {
                return Err(Failed("full".to_owned()));
            }
            pieces.push(piece);
            Ok(())
        });
        (pieces, done.map_err(|Failed(why)| why))
    }

    #[derive(Debug)]
    struct Failed(String);

    impl From<ReportError> for Failed {
        fn from(error: ReportError) -> Self {
            Self(error.to_string())
        }
    }

    fn source() -> minijinja::Error {
        minijinja::Error::new(minijinja::ErrorKind::BadSerialization, "broken")
    }

    #[test]
    fn pieces_come_in_order_up_to_the_first_failure() {
        for count in [0, 1, CHUNK, CHUNK + 1, 5 * CHUNK + 3] {
            let (pieces, done) = written(count, usize::MAX, usize::MAX);
            assert_eq!((pieces, done), ((0..count).collect(), Ok(())), "{count}");
        }
        let (pieces, done) = written(3 * CHUNK, usize::MAX, CHUNK + 2);
        assert_eq!((pieces.len(), done), (CHUNK + 2, Err("full".to_owned())));
        let (pieces, done) = written(3 * CHUNK, CHUNK + 2, usize::MAX);
        assert!(done.is_err_and(|why| why.contains("broken")));
        assert_eq!(pieces, (0..CHUNK).collect::<Vec<_>>(), "a chunk with a failure is not written");
    }
}
