//! Documents as literals.

/// A [`Document`](crate::Document) written like JSON; values are expressions, or `null`, or nested.
///
/// ```
/// use anyenc::{Value, doc};
/// let age = 18;
/// let filter = doc! { "age": { "$gte": age + 1 }, "tags": ["a", null, { "b": true }], "ok": null };
/// assert_eq!(filter.get("ok"), Some(&Value::Null));
/// assert_eq!(filter.to_string(), r#"{"age":{"$gte":19},"tags":["a",null,{"b":true}],"ok":null}"#);
/// ```
///
/// A key is a literal, or any expression in parentheses that is `Into<String>`. Of a repeated key
/// the last value stays, at the first place.
#[macro_export]
macro_rules! doc {
    () => { $crate::Document::new() };
    ( $($fields:tt)+ ) => {{
        let mut document = $crate::Document::new();
        $crate::__fields!(document () $($fields)+);
        document
    }};
}

/// A [`Value`](crate::Value) written like JSON.
///
/// ```
/// use anyenc::{Value, value};
/// assert_eq!(value!([1, { "a": null }]).to_string(), r#"[1,{"a":null}]"#);
/// assert_eq!(value!(null), Value::Null);
/// ```
#[macro_export]
macro_rules! value {
    (null) => { $crate::Value::Null };
    ([]) => { $crate::Value::Array(::std::vec::Vec::new()) };
    ([ $($elements:tt)+ ]) => {{
        let mut array = ::std::vec::Vec::<$crate::Value>::new();
        $crate::__elements!(array $($elements)+);
        $crate::Value::Array(array)
    }};
    ({ $($fields:tt)* }) => { $crate::Value::Object($crate::doc! { $($fields)* }) };
    ($value:expr) => { $crate::Value::from($value) };
}

/// Takes the fields of [`doc!`] one by one: `document (key so far) what is left`.
#[doc(hidden)]
#[macro_export]
macro_rules! __fields {
    // The end, with or without a comma before it.
    ($document:ident ()) => {};
    // A value that is not an expression.
    ($document:ident ($key:expr) : null $(, $($rest:tt)*)?) => {
        $document.insert($key, $crate::Value::Null);
        $crate::__fields!($document () $($($rest)*)?);
    };
    ($document:ident ($key:expr) : [ $($array:tt)* ] $(, $($rest:tt)*)?) => {
        $document.insert($key, $crate::value!([ $($array)* ]));
        $crate::__fields!($document () $($($rest)*)?);
    };
    ($document:ident ($key:expr) : { $($object:tt)* } $(, $($rest:tt)*)?) => {
        $document.insert($key, $crate::value!({ $($object)* }));
        $crate::__fields!($document () $($($rest)*)?);
    };
    // A value that is one.
    ($document:ident ($key:expr) : $value:expr , $($rest:tt)*) => {
        $document.insert($key, $value);
        $crate::__fields!($document () $($rest)*);
    };
    ($document:ident ($key:expr) : $value:expr) => {
        $document.insert($key, $value);
    };
    // A key.
    ($document:ident () ($key:expr) $($rest:tt)+) => {
        $crate::__fields!($document ($key) $($rest)+);
    };
    ($document:ident () $key:literal $($rest:tt)+) => {
        $crate::__fields!($document ($key) $($rest)+);
    };
}

/// Takes the elements of an array one by one.
#[doc(hidden)]
#[macro_export]
macro_rules! __elements {
    ($array:ident) => {};
    ($array:ident null $(, $($rest:tt)*)?) => {
        $array.push($crate::Value::Null);
        $crate::__elements!($array $($($rest)*)?);
    };
    ($array:ident [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        $array.push($crate::value!([ $($inner)* ]));
        $crate::__elements!($array $($($rest)*)?);
    };
    ($array:ident { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        $array.push($crate::value!({ $($inner)* }));
        $crate::__elements!($array $($($rest)*)?);
    };
    ($array:ident $value:expr , $($rest:tt)*) => {
        $array.push($crate::Value::from($value));
        $crate::__elements!($array $($rest)*);
    };
    ($array:ident $value:expr) => {
        $array.push($crate::Value::from($value));
    };
}
