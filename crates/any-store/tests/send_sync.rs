//! Which types cross threads, and which can be cloned: checked by the compiler.

use any_store::{
    Collection, Cursor, Database, Document, Error, Filter, Find, Options, RawDocument, ReadTx,
    ReadView, Savepoint, Sort, Update, Value, WriteTx, WriteView,
};
use std::rc::Rc;

fn send<T: Send>() {}
fn sync<T: Sync>() {}
fn clone<T: Clone>() {}
fn owned<T: 'static>() {}

/// A document type that is neither `Send` nor `Sync`: handles to its collection still are.
type Local = Rc<()>;

#[test]
fn handles_are_send_sync_clone_and_owned() {
    send::<Database>();
    sync::<Database>();
    clone::<Database>();
    owned::<Database>();
    send::<Collection<Local>>();
    sync::<Collection<Local>>();
    clone::<Collection<Local>>();
    owned::<Collection<Local>>();
    send::<Find<Local>>();
    sync::<Find<Local>>();
    clone::<Find<Local>>();
    owned::<Find<Local>>();
    send::<Options>();
    sync::<Options>();
    clone::<Options>();
}

#[test]
fn transactions_and_cursors_cross_threads() {
    send::<ReadTx>();
    sync::<ReadTx>();
    clone::<ReadTx>();
    owned::<ReadTx>();
    send::<WriteTx>();
    owned::<WriteTx>();
    send::<Savepoint<'_>>();
    send::<WriteView<'_, Local>>();
    send::<ReadView<'static, Local>>();
    clone::<ReadView<'_, Local>>();
    send::<Cursor<'static, Local>>();
    send::<Cursor<'_, Local>>();
    owned::<Cursor<'static, Local>>();
}

#[test]
fn requests_values_and_errors_are_shared_freely() {
    send::<Filter>();
    sync::<Filter>();
    clone::<Filter>();
    send::<Update>();
    sync::<Update>();
    clone::<Update>();
    send::<Sort>();
    sync::<Sort>();
    clone::<Sort>();
    send::<Value>();
    sync::<Value>();
    clone::<Document>();
    send::<RawDocument<'_>>();
    sync::<RawDocument<'_>>();
    clone::<RawDocument<'_>>();
    send::<Error>();
    sync::<Error>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<any_store::Result<()>>(), size_of::<usize>());
}
