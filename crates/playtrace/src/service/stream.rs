//! The log of a run on its way to a client.

use axum::body::Body;
use playtrace_replay::{Channel, Line, Listener};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

use super::api::CONTEXT_MARK;

/// Sends each line to whoever reads the stream. A client that went away, or reads slowly, doesn't hold up the run.
#[derive(Debug)]
pub(super) struct StreamListener {
    lines: mpsc::UnboundedSender<String>,
    coloured: bool,
    verbose: bool,
}

/// A listener, and the body of the response that carries what it hears.
pub(super) fn channel(coloured: bool, verbose: bool) -> (StreamListener, Body) {
    let (lines, mut received) = mpsc::unbounded_channel::<String>();
    let (mut writer, reader) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        while let Some(line) = received.recv().await {
            if writer.write_all(line.as_bytes()).await.is_err() {
                // The client is gone; the listener's further lines go nowhere.
                return;
            }
        }
    });
    (StreamListener { lines, coloured, verbose }, Body::from_stream(ReaderStream::new(reader)))
}

impl Listener for StreamListener {
    fn line(&self, line: &Line) {
        let mark = match line.channel {
            Channel::Log => "",
            Channel::Context if self.verbose => CONTEXT_MARK,
            Channel::Context => return,
        };
        let text = if self.coloured { line.to_ansi() } else { line.to_plain() };
        // Nobody may be listening any more.
        self.lines.send(format!("{mark}{text}\n")).ok();
    }
}
