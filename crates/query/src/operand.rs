//! Values of a request, prepared once for use beside encoded documents.

use anyenc::{DecodeError, EncodeError, RawBinary, RawValue, Value};

/// A value of the request, ready to be compared with values of a document.
///
/// Scalars are compared as they are; what has an inside of its own is kept encoded as well.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Scalar(Value),
    // Boxed: most of the million members that a filter may have are scalars, and pay for the larger.
    Encoded(Box<(Value, Box<[u8]>)>),
}

impl Eq for Operand {}

impl PartialEq for Operand {
    fn eq(&self, other: &Operand) -> bool {
        self.value() == other.value()
    }
}

impl Operand {
    /// Prepares a value.
    ///
    /// # Errors
    /// No document could hold the value.
    pub(crate) fn new(value: &Value) -> Result<Operand, EncodeError> {
        Ok(match value {
            Value::Array(_) | Value::Object(_) | Value::Regex(_) | Value::Vector(_) => {
                let mut bytes = Vec::new();
                value.encode_into(&mut bytes)?;
                Operand::Encoded(Box::new((value.clone(), bytes.into_boxed_slice())))
            }
            _ => Operand::Scalar(value.clone()),
        })
    }

    /// The value as it was written.
    pub(crate) fn value(&self) -> &Value {
        match self {
            Operand::Scalar(value) => value,
            Operand::Encoded(both) => &both.0,
        }
    }

    /// The value as a document would hold it.
    pub(crate) fn raw(&self) -> Result<RawValue<'_>, DecodeError> {
        let value = match self {
            Operand::Scalar(value) => value,
            Operand::Encoded(both) => return RawValue::from_bytes(&both.1),
        };
        Ok(match value {
            Value::Bool(value) => RawValue::Bool(*value),
            Value::Int64(value) => RawValue::Int64(*value),
            Value::Double(value) => RawValue::Double(*value),
            Value::String(value) => RawValue::String(value),
            Value::Binary(value) => {
                RawValue::Binary(RawBinary { subtype: value.subtype, bytes: &value.bytes })
            }
            Value::ObjectId(value) => RawValue::ObjectId(*value),
            Value::DateTime(value) => RawValue::DateTime(*value),
            // The others are encoded, see `new`.
            _ => RawValue::Null,
        })
    }
}
