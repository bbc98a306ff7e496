//! What callers may write where a filter, an update, a sort or a projection is asked for.
//!
//! Text is JSON, with extended JSON for the types JSON has not; a bad request is an error that the
//! verb returns, never a request that means something else.

use any_store_query::{Criteria, Field, Filter, ParseError, Projection, Sort, Update};
use anyenc::{Document, Value};

/// What can be used as a filter: a document, JSON text, what [`field`](crate::field) begins, a ready
/// [`Filter`], or `()` for all.
pub trait IntoFilter {
    /// The filter.
    ///
    /// # Errors
    /// The request is not a filter; the error says where.
    fn into_filter(self) -> Result<Filter, ParseError>;
}

/// What can be used as an update: a document, JSON text, or a ready [`Update`].
pub trait IntoUpdate {
    /// The update.
    ///
    /// # Errors
    /// The request is not an update; the error says where.
    fn into_update(self) -> Result<Update, ParseError>;
}

/// What can be used as a sort: `"a"`, `"-a"`, a list of these, `{"a": -1}`, or a ready [`Sort`].
pub trait IntoSort {
    /// The sort.
    ///
    /// # Errors
    /// The request is not a sort; the error says where.
    fn into_sort(self) -> Result<Sort, ParseError>;
}

/// What can be used as a projection: a document, a value or JSON text.
pub trait IntoProjection {
    /// The projection, to be read once the primary key is known.
    fn into_projection(self) -> ProjectionRequest;
}

/// What can be used as array filters: documents, a value that is an array, or JSON text of one.
pub trait IntoArrayFilters {
    /// The filters, to be read with the update whose names they explain.
    ///
    /// # Errors
    /// The request is not an array.
    fn into_array_filters(self) -> Result<Vec<Value>, ParseError>;
}

/// The update, if it needs no array filters.
pub(crate) fn plain_update(update: impl IntoUpdate) -> Result<Update, ParseError> {
    update.into_update()?.with_all_names_known()
}

/// A projection that has not been read yet.
#[derive(Clone, Debug)]
pub struct ProjectionRequest(Form);

#[derive(Clone, Debug)]
enum Form {
    Value(Value),
    Json(String),
}

impl ProjectionRequest {
    /// The projection for a collection with this primary key.
    pub(crate) fn read(&self, primary_key: &str) -> Result<Projection, ParseError> {
        match &self.0 {
            Form::Value(value) => Projection::parse(value, primary_key),
            Form::Json(text) => Projection::from_json(text, primary_key),
        }
    }
}

impl IntoFilter for () {
    fn into_filter(self) -> Result<Filter, ParseError> {
        Ok(Filter::all())
    }
}

impl IntoFilter for Filter {
    fn into_filter(self) -> Result<Filter, ParseError> {
        Ok(self)
    }
}

impl IntoFilter for &Filter {
    fn into_filter(self) -> Result<Filter, ParseError> {
        Ok(self.clone())
    }
}

impl IntoFilter for Document {
    fn into_filter(self) -> Result<Filter, ParseError> {
        Filter::from_document(&self)
    }
}

impl IntoFilter for &Document {
    fn into_filter(self) -> Result<Filter, ParseError> {
        Filter::from_document(self)
    }
}

impl IntoFilter for Value {
    fn into_filter(self) -> Result<Filter, ParseError> {
        Filter::parse(&self)
    }
}

impl IntoFilter for &Value {
    fn into_filter(self) -> Result<Filter, ParseError> {
        Filter::parse(self)
    }
}

impl IntoFilter for &str {
    fn into_filter(self) -> Result<Filter, ParseError> {
        Filter::from_json(self)
    }
}

impl IntoFilter for &String {
    fn into_filter(self) -> Result<Filter, ParseError> {
        Filter::from_json(self)
    }
}

impl IntoFilter for Field {
    fn into_filter(self) -> Result<Filter, ParseError> {
        self.build()
    }
}

impl IntoFilter for Criteria {
    fn into_filter(self) -> Result<Filter, ParseError> {
        self.build()
    }
}

impl IntoUpdate for Update {
    fn into_update(self) -> Result<Update, ParseError> {
        Ok(self)
    }
}

impl IntoUpdate for &Update {
    fn into_update(self) -> Result<Update, ParseError> {
        Ok(self.clone())
    }
}

impl IntoUpdate for Document {
    fn into_update(self) -> Result<Update, ParseError> {
        Update::from_document(&self)
    }
}

impl IntoUpdate for &Document {
    fn into_update(self) -> Result<Update, ParseError> {
        Update::from_document(self)
    }
}

impl IntoUpdate for Value {
    fn into_update(self) -> Result<Update, ParseError> {
        Update::parse(&self)
    }
}

impl IntoUpdate for &Value {
    fn into_update(self) -> Result<Update, ParseError> {
        Update::parse(self)
    }
}

impl IntoUpdate for &str {
    fn into_update(self) -> Result<Update, ParseError> {
        Update::from_json(self)
    }
}

impl IntoUpdate for &String {
    fn into_update(self) -> Result<Update, ParseError> {
        Update::from_json(self)
    }
}

impl IntoArrayFilters for Vec<Value> {
    fn into_array_filters(self) -> Result<Vec<Value>, ParseError> {
        Ok(self)
    }
}

impl IntoArrayFilters for Value {
    fn into_array_filters(self) -> Result<Vec<Value>, ParseError> {
        Update::array_filters_of(self)
    }
}

impl IntoArrayFilters for &str {
    fn into_array_filters(self) -> Result<Vec<Value>, ParseError> {
        Update::array_filters_from_json(self)
    }
}

impl IntoArrayFilters for Vec<Document> {
    fn into_array_filters(self) -> Result<Vec<Value>, ParseError> {
        Ok(self.into_iter().map(Value::from).collect())
    }
}

impl<const N: usize> IntoArrayFilters for [Document; N] {
    fn into_array_filters(self) -> Result<Vec<Value>, ParseError> {
        Ok(self.into_iter().map(Value::from).collect())
    }
}

impl IntoSort for Sort {
    fn into_sort(self) -> Result<Sort, ParseError> {
        Ok(self)
    }
}

impl IntoSort for &Sort {
    fn into_sort(self) -> Result<Sort, ParseError> {
        Ok(self.clone())
    }
}

impl IntoSort for Value {
    fn into_sort(self) -> Result<Sort, ParseError> {
        Sort::parse(&self)
    }
}

impl IntoSort for &Value {
    fn into_sort(self) -> Result<Sort, ParseError> {
        Sort::parse(self)
    }
}

impl IntoSort for Document {
    fn into_sort(self) -> Result<Sort, ParseError> {
        Sort::from_document(&self)
    }
}

impl IntoSort for &Document {
    fn into_sort(self) -> Result<Sort, ParseError> {
        Sort::from_document(self)
    }
}

/// One field: `"a"` ascending, `"-a"` descending.
impl IntoSort for &str {
    fn into_sort(self) -> Result<Sort, ParseError> {
        Sort::by(self)
    }
}

impl IntoSort for &[&str] {
    fn into_sort(self) -> Result<Sort, ParseError> {
        Sort::by_all(self.iter().copied())
    }
}

impl IntoSort for Vec<&str> {
    fn into_sort(self) -> Result<Sort, ParseError> {
        self.as_slice().into_sort()
    }
}

impl<const N: usize> IntoSort for [&str; N] {
    fn into_sort(self) -> Result<Sort, ParseError> {
        self.as_slice().into_sort()
    }
}

impl IntoProjection for Document {
    fn into_projection(self) -> ProjectionRequest {
        ProjectionRequest(Form::Value(Value::Object(self)))
    }
}

impl IntoProjection for &Document {
    fn into_projection(self) -> ProjectionRequest {
        self.clone().into_projection()
    }
}

impl IntoProjection for Value {
    fn into_projection(self) -> ProjectionRequest {
        ProjectionRequest(Form::Value(self))
    }
}

impl IntoProjection for &str {
    fn into_projection(self) -> ProjectionRequest {
        ProjectionRequest(Form::Json(self.to_owned()))
    }
}
