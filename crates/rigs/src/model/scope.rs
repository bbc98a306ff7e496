//! The places that change the catalog: the database, a transaction, a savepoint.

use any_store::{
    Collection, CollectionOptions, Database, Document, Result, Savepoint, WriteTx, WriteView,
};

/// A place that changes the catalog.
pub(crate) trait CatalogPlace {
    fn create(&mut self, name: &str, options: CollectionOptions) -> Result<Collection<Document>>;
    fn get_or_create(
        &mut self,
        name: &str,
        options: CollectionOptions,
    ) -> Result<Collection<Document>>;
    fn open(&mut self, name: &str) -> Result<Collection<Document>>;
    fn rename_named(&mut self, from: &str, to: &str) -> Result<()>;
    fn drop_named(&mut self, name: &str) -> Result<()>;
    fn rename_bound(&mut self, handle: &Collection<Document>, to: &str) -> Result<()>;
    fn drop_bound(&mut self, handle: &Collection<Document>) -> Result<()>;
}

/// A transaction, or a savepoint in one.
pub(crate) trait Scope: CatalogPlace {
    fn view(&mut self, handle: &Collection<Document>) -> WriteView<'_, Document>;
    fn nested(&mut self) -> Result<Savepoint<'_>>;
}

/// The verbs have the same names on all three types, which have no trait in common.
macro_rules! catalog_place {
    ($place:ty, |$this:ident, $handle:ident| $bound:expr) => {
        impl CatalogPlace for $place {
            fn create(
                &mut self,
                name: &str,
                options: CollectionOptions,
            ) -> Result<Collection<Document>> {
                self.create_collection(name, options)
            }

            fn get_or_create(
                &mut self,
                name: &str,
                options: CollectionOptions,
            ) -> Result<Collection<Document>> {
                self.get_or_create_collection(name, options)
            }

            fn open(&mut self, name: &str) -> Result<Collection<Document>> {
                self.open_collection(name)
            }

            fn rename_named(&mut self, from: &str, to: &str) -> Result<()> {
                self.rename_collection(from, to)
            }

            fn drop_named(&mut self, name: &str) -> Result<()> {
                self.drop_collection(name)
            }

            fn rename_bound(&mut self, $handle: &Collection<Document>, to: &str) -> Result<()> {
                let $this = self;
                $bound.rename(to)
            }

            fn drop_bound(&mut self, $handle: &Collection<Document>) -> Result<()> {
                let $this = self;
                $bound.drop_collection()
            }
        }
    };
}

catalog_place!(Database, |_this, handle| handle);
catalog_place!(WriteTx, |this, handle| this.collection(handle));
catalog_place!(Savepoint<'_>, |this, handle| this.collection(handle));

impl Scope for WriteTx {
    fn view(&mut self, handle: &Collection<Document>) -> WriteView<'_, Document> {
        self.collection(handle)
    }

    fn nested(&mut self) -> Result<Savepoint<'_>> {
        self.savepoint()
    }
}

impl Scope for Savepoint<'_> {
    fn view(&mut self, handle: &Collection<Document>) -> WriteView<'_, Document> {
        self.collection(handle)
    }

    fn nested(&mut self) -> Result<Savepoint<'_>> {
        self.savepoint()
    }
}
