//! `any-store collections`: the collections and how they are stored.

use any_store::json::JsonFormat;
use any_store::{CollectionInfo, Compression, Value, doc};

use crate::args::Collections;
use crate::failure::Failure;
use crate::open::{Access, with_database};
use crate::output::Output;

pub(crate) fn run(collections: &Collections) -> Result<(), Failure> {
    with_database(&collections.open, Access::Read, None, |database| {
        let infos = database.collection_infos()?;
        let mut output = Output::stdout();
        if collections.json {
            let infos = infos.iter().map(describe).collect();
            output.line(&Value::Array(infos).to_json(JsonFormat::Relaxed))?;
        } else {
            for info in infos {
                output.line(&info.name)?;
            }
        }
        output.flush()
    })
}

fn describe(info: &CollectionInfo) -> Value {
    Value::Object(doc! {
        "name": info.name.as_str(),
        "primaryKey": info.primary_key.as_str(),
        "autoId": info.auto_id,
        "compression": compression_name(info.compression),
    })
}

/// The name that `createCollection` takes.
pub(crate) fn compression_name(compression: Compression) -> &'static str {
    match compression {
        Compression::Lz4 => "lz4",
        Compression::None => "none",
        _ => "unknown",
    }
}
