//! What is left of a computer's files after a crash.

use crate::content::Content;
use crate::disk::FileNo;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use twox_hash::XxHash3_128;

/// Named files at rest. Clones share bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub(crate) files: BTreeMap<PathBuf, Content>,
}

impl Image {
    /// A disk without files.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds a file, or replaces it.
    pub fn put(&mut self, path: impl Into<PathBuf>, bytes: &[u8]) {
        self.files.insert(path.into(), Content::from(bytes));
    }

    /// The bytes of a file.
    #[must_use]
    pub fn get(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.files.get(path.as_ref()).map(Content::to_vec)
    }

    /// True if there is a file of that name.
    #[must_use]
    pub fn contains(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    /// The files' names and lengths.
    pub fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.files.iter().map(|(path, content)| (path.as_path(), content.len()))
    }

    /// A hash of all names and bytes.
    #[must_use]
    pub fn hash(&self) -> u128 {
        let mut summary = Vec::new();
        for (path, content) in &self.files {
            let path = path.as_os_str().as_encoded_bytes();
            summary.extend_from_slice(&(path.len() as u64).to_le_bytes());
            summary.extend_from_slice(path);
            summary.extend_from_slice(&content.hash().to_le_bytes());
        }
        XxHash3_128::oneshot(&summary)
    }

    /// The files behind `names`, each with the bytes that `content` gives for it.
    pub(crate) fn collect(
        names: &BTreeMap<PathBuf, FileNo>,
        content: impl Fn(FileNo) -> Option<Content>,
    ) -> Self {
        let named = |(path, file): (&PathBuf, &FileNo)| Some((path.clone(), content(*file)?));
        Self { files: names.iter().filter_map(named).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tells_names_and_bytes_apart() {
        let mut first = Image::empty();
        first.put("/a", b"xy");
        let mut renamed = Image::empty();
        renamed.put("/b", b"xy");
        let mut changed = first.clone();
        changed.put("/a", b"xz");
        assert_ne!(first.hash(), renamed.hash());
        assert_ne!(first.hash(), changed.hash());
        changed.put("/a", b"xy");
        assert_eq!(first.hash(), changed.hash());
        assert_eq!(first.get("/a").as_deref(), Some(&b"xy"[..]));
        assert_eq!(first.get("/b"), None);
    }
}
