//! Standard output and files that data is written to, and documents as text.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use any_store::json::{self, JsonFormat};
use any_store::{Cursor, RawDocument, RawDocumentBuf, RawValue};

use crate::failure::{Exit, Failure};

const BUFFER_BYTES: usize = 256 * 1024;

/// Where data goes.
pub(crate) struct Output {
    sink: Sink,
    /// For messages.
    name: String,
}

enum Sink {
    Stream(BufWriter<Box<dyn Write>>),
    Memory(Vec<u8>),
}

impl Output {
    pub(crate) fn stdout() -> Output {
        Output::stream(Box::new(io::stdout()), "standard output".to_owned())
    }

    /// Creates the file, or empties it.
    pub(crate) fn file(path: &Path) -> Result<Output, Failure> {
        let name = path.display().to_string();
        let file = File::create(path).map_err(|error| Failure::of_output(&name, &error))?;
        Ok(Output::stream(Box::new(file), name))
    }

    /// Keeps what is written, for `into_text`.
    pub(crate) fn memory() -> Output {
        Output { sink: Sink::Memory(Vec::new()), name: String::new() }
    }

    fn stream(writer: Box<dyn Write>, name: String) -> Output {
        Output { sink: Sink::Stream(BufWriter::with_capacity(BUFFER_BYTES, writer)), name }
    }

    pub(crate) fn write(&mut self, text: &[u8]) -> Result<(), Failure> {
        let written = match &mut self.sink {
            Sink::Stream(writer) => writer.write_all(text),
            Sink::Memory(memory) => memory.write_all(text),
        };
        written.map_err(|error| Failure::of_output(&self.name, &error))
    }

    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.write(text.as_bytes())?;
        self.write(b"\n")
    }

    /// Everything written so far is with the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.sink {
            Sink::Stream(writer) => {
                writer.flush().map_err(|error| Failure::of_output(&self.name, &error))
            }
            Sink::Memory(_) => Ok(()),
        }
    }

    /// What was written to `memory`.
    pub(crate) fn into_text(self) -> String {
        match self.sink {
            Sink::Stream(_) => String::new(),
            Sink::Memory(memory) => String::from_utf8_lossy(&memory).into_owned(),
        }
    }
}

/// How documents are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One document a line.
    Lines,
    /// Indented.
    Pretty,
    /// One JSON array, a document a line.
    Array,
}

impl Layout {
    /// Pretty for people, lines for programs.
    pub(crate) fn for_stdout() -> Layout {
        if io::stdout().is_terminal() { Layout::Pretty } else { Layout::Lines }
    }
}

/// Writes documents one after the other.
pub(crate) struct Documents<'o> {
    output: &'o mut Output,
    layout: Layout,
    format: JsonFormat,
    text: Vec<u8>,
    /// Documents written so far.
    pub(crate) count: u64,
}

impl<'o> Documents<'o> {
    pub(crate) fn new(output: &'o mut Output, layout: Layout, format: JsonFormat) -> Documents<'o> {
        Documents { output, layout, format, text: Vec::new(), count: 0 }
    }

    /// Writes what the cursor gives, and finishes.
    pub(crate) fn write_all(
        mut self,
        cursor: &mut Cursor<'_, RawDocumentBuf>,
    ) -> Result<u64, Failure> {
        while let Some(document) = cursor.next_raw()? {
            self.write(document)?;
        }
        self.finish()
    }

    pub(crate) fn write(&mut self, document: RawDocument<'_>) -> Result<(), Failure> {
        self.text.clear();
        match self.layout {
            Layout::Lines | Layout::Pretty => {}
            Layout::Array if self.count == 0 => self.text.extend_from_slice(b"[\n"),
            Layout::Array => self.text.extend_from_slice(b",\n"),
        }
        document_text(document, self.layout, self.format, &mut self.text)?;
        if self.layout != Layout::Array {
            self.text.push(b'\n');
        }
        self.count += 1;
        self.output.write(&self.text)
    }

    /// Writes what must follow the last document.
    pub(crate) fn finish(self) -> Result<u64, Failure> {
        match (self.layout, self.count) {
            (Layout::Array, 0) => self.output.write(b"[]\n")?,
            (Layout::Array, _) => self.output.write(b"\n]\n")?,
            _ => {}
        }
        self.output.flush()?;
        Ok(self.count)
    }
}

fn document_text(
    document: RawDocument<'_>,
    layout: Layout,
    format: JsonFormat,
    text: &mut Vec<u8>,
) -> Result<(), Failure> {
    let value = RawValue::Object(document);
    let written = match layout {
        Layout::Pretty => json::to_json_pretty(value, format)
            .map(|pretty| text.extend_from_slice(pretty.as_bytes())),
        _ => json::write_json(value, format, text),
    };
    written.map_err(|error| {
        Failure::new(Exit::Damaged, format!("a stored document is damaged: {error}"))
    })
}
