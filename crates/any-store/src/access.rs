//! Where a query runs: on a collection, in a snapshot, in a write transaction.
//!
//! The verbs of [`Find`](crate::Find) are written once. What differs is where the state to read from
//! comes from, and who begins and ends the statement.

use any_store_query::ParseError;

use crate::collection::Collection;
use crate::error::Result;
use crate::find::Reading;
use crate::statement::Statement;
use crate::view::{ReadView, WriteView};

/// A place that queries read from, with cursors that live for `'t`. Only this crate's types are.
pub trait ReadAccess<'t>: Sized {
    /// Reads from one state.
    #[doc(hidden)]
    fn read<R>(self, work: impl FnOnce(&Reading<'t, '_>) -> Result<R>) -> Result<R>;
}

/// A place in which queries change documents. Only this crate's types are.
pub trait WriteAccess: Sized {
    /// Runs one statement, all or nothing, for a request that may have been unreadable.
    #[doc(hidden)]
    fn write<Q, R>(
        self,
        request: Result<Q, ParseError>,
        work: impl FnOnce(&mut Statement<'_>, Q) -> Result<R>,
    ) -> Result<R>;
}

impl<T> ReadAccess<'static> for Collection<T> {
    fn read<R>(self, work: impl FnOnce(&Reading<'static, '_>) -> Result<R>) -> Result<R> {
        work(&self.reading()?)
    }
}

impl<'t, T> ReadAccess<'t> for ReadView<'t, T> {
    fn read<R>(self, work: impl FnOnce(&Reading<'t, '_>) -> Result<R>) -> Result<R> {
        work(&self.reading()?)
    }
}

impl<'t, T> ReadAccess<'t> for &'t mut WriteView<'_, T> {
    fn read<R>(self, work: impl FnOnce(&Reading<'t, '_>) -> Result<R>) -> Result<R> {
        let view: &'t WriteView<'_, T> = self;
        work(&view.reading()?)
    }
}

impl<T> WriteAccess for Collection<T> {
    fn write<Q, R>(
        self,
        request: Result<Q, ParseError>,
        work: impl FnOnce(&mut Statement<'_>, Q) -> Result<R>,
    ) -> Result<R> {
        let request = self.readable(request)?;
        self.autocommit(|statement| work(statement, request))
    }
}

impl<T> WriteAccess for &mut WriteView<'_, T> {
    fn write<Q, R>(
        self,
        request: Result<Q, ParseError>,
        work: impl FnOnce(&mut Statement<'_>, Q) -> Result<R>,
    ) -> Result<R> {
        self.statement(|statement| work(statement, request?))
    }
}
