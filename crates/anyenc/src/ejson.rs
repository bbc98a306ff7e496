//! The wrappers of extended JSON v2: objects of one key that stand for a typed value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::datetime::{DateTime, parse_rfc3339};
use crate::error::{DecodeError, EncodeError};
use crate::limits::Limits;
use crate::object_id::read_hex;
use crate::raw::{RawDocument, RawValue};
use crate::writer::DocumentWriter;

/// No payload is nested deeper than the array of a vector, and one may take more bytes than the
/// value that it stands for: base64 does, and so does a vector whose components are integers.
pub(crate) const PAYLOAD_LIMITS: Limits =
    Limits { document_bytes: 4 * Limits::DEFAULT.document_bytes, depth: 1 };

/// A payload may hold wrappers, `{"$date":{"$numberLong":"5"}}`, but these no more.
pub(crate) const MAX_NESTED: usize = 2;

/// Why a payload is not the value it should be.
pub(crate) enum Refusal {
    Malformed,
    Range,
    Encode(EncodeError),
}

impl From<EncodeError> for Refusal {
    fn from(error: EncodeError) -> Self {
        Refusal::Encode(error)
    }
}

impl From<DecodeError> for Refusal {
    fn from(_: DecodeError) -> Self {
        Refusal::Malformed
    }
}

/// How the payload of a wrapper is to be spelled.
fn expected(name: &str) -> Option<&'static str> {
    Some(match name {
        "$oid" => "24 hex digits in a string",
        "$date" => {
            "an RFC 3339 date with time and offset in a string, or {\"$numberLong\": \"...\"}"
        }
        "$numberLong" => "a 64-bit integer in a string",
        "$numberInt" => "a 32-bit integer in a string",
        "$numberDouble" => "a number, NaN, Infinity or -Infinity in a string",
        "$binary" => "{\"base64\": \"...\", \"subType\": \"00\"}",
        "$regularExpression" => "{\"pattern\": \"...\", \"options\": \"...\"}",
        "$uuid" => "a UUID with hyphens in a string",
        "$vector" => "an array of numbers within the range of a 32-bit float",
        _ => return None,
    })
}

/// The words for a wrapper that is none.
pub(crate) fn malformed(name: &str) -> String {
    match expected(name) {
        Some(expected) => format!("malformed {name:?}: it takes {expected}"),
        None => format!("{name:?} stands for a type that cannot be stored"),
    }
}

/// Writes the value that a wrapper stands for. In the payload, wrappers have become values.
pub(crate) fn write(
    name: &str,
    payload: RawValue<'_>,
    writer: &mut DocumentWriter<'_>,
) -> Result<(), Refusal> {
    match (name, payload) {
        ("$oid", RawValue::String(text)) => {
            let id = text.parse().map_err(|_| Refusal::Malformed)?;
            writer.object_id(id)?;
        }
        ("$date", RawValue::String(text)) => {
            writer.date_time(parse_rfc3339(text).ok_or(Refusal::Malformed)?)?;
        }
        ("$date", RawValue::Int64(ms)) => writer.date_time(DateTime::from_ms(ms))?,
        ("$numberLong", RawValue::String(text)) => writer.int64(integer(text)?)?,
        ("$numberInt", RawValue::String(text)) => writer.int64(i64::from(integer::<i32>(text)?))?,
        ("$numberDouble", RawValue::String(text)) => writer.double(double(text)?)?,
        ("$binary", RawValue::Object(parts)) => {
            let (base64, subtype) = two_texts(parts, "base64", "subType")?;
            let bytes = STANDARD.decode(base64).map_err(|_| Refusal::Malformed)?;
            writer.binary(hex_byte(subtype)?, &bytes)?;
        }
        ("$uuid", RawValue::String(text)) => writer.binary(UUID_SUBTYPE, &uuid(text)?)?,
        ("$regularExpression", RawValue::Object(parts)) => {
            let (pattern, options) = two_texts(parts, "pattern", "options")?;
            writer.regex(pattern, options)?;
        }
        ("$vector", RawValue::Array(components)) => {
            let components: Result<Vec<f32>, Refusal> =
                components.iter().map(|value| component(value?)).collect();
            writer.vector(&components?)?;
        }
        _ => return Err(Refusal::Malformed),
    }
    Ok(())
}

const UUID_SUBTYPE: u8 = 4;

fn integer<T: std::str::FromStr>(text: &str) -> Result<T, Refusal> {
    if text.starts_with('+') {
        return Err(Refusal::Malformed);
    }
    text.parse().map_err(|_| Refusal::Malformed)
}

fn double(text: &str) -> Result<f64, Refusal> {
    match text {
        "NaN" => return Ok(f64::NAN),
        "Infinity" => return Ok(f64::INFINITY),
        "-Infinity" => return Ok(f64::NEG_INFINITY),
        _ => {}
    }
    // What `parse` takes besides are the names of NaN and infinity in other spellings.
    let is_numeric = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if !text.bytes().all(is_numeric) {
        return Err(Refusal::Malformed);
    }
    match text.parse() {
        Ok(double) if f64::is_finite(double) => Ok(double),
        Ok(_) => Err(Refusal::Range),
        Err(_) => Err(Refusal::Malformed),
    }
}

/// The two members of a payload, in either order, and no third.
fn two_texts<'a>(
    parts: RawDocument<'a>,
    first: &str,
    second: &str,
) -> Result<(&'a str, &'a str), Refusal> {
    match (parts.get(first)?, parts.get(second)?, parts.len()?) {
        (Some(RawValue::String(first)), Some(RawValue::String(second)), 2) => Ok((first, second)),
        _ => Err(Refusal::Malformed),
    }
}

/// A subtype: one hex digit or two.
fn hex_byte(text: &str) -> Result<u8, Refusal> {
    let mut byte = [0];
    let padded = if text.len() == 1 { format!("0{text}") } else { text.to_owned() };
    read_hex(&padded, &mut byte).ok_or(Refusal::Malformed)?;
    let [byte] = byte;
    Ok(byte)
}

fn uuid(text: &str) -> Result<[u8; 16], Refusal> {
    let groups: Vec<&str> = text.split('-').collect();
    if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) {
        return Err(Refusal::Malformed);
    }
    let mut bytes = [0; 16];
    read_hex(&groups.concat(), &mut bytes).ok_or(Refusal::Malformed)?;
    Ok(bytes)
}

fn component(value: RawValue<'_>) -> Result<f32, Refusal> {
    let wide = value.as_number().ok_or(Refusal::Malformed)?.as_f64();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding is meant, overflow refused below"
    )]
    let narrow = wide as f32;
    if wide.is_finite() && narrow.is_infinite() { Err(Refusal::Malformed) } else { Ok(narrow) }
}
