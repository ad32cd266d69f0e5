//! Images that keep data, by their names.

/// Images of databases, queues and other stores, by the last part of their names.
const STORES: [&str; 30] = [
    "cassandra",
    "clickhouse",
    "clickhouse-server",
    "cockroach",
    "couchdb",
    "elasticsearch",
    "etcd",
    "influxdb",
    "kafka",
    "keydb",
    "mariadb",
    "meilisearch",
    "minio",
    "mongo",
    "mongodb",
    "mysql",
    "nats",
    "neo4j",
    "opensearch",
    "percona",
    "pgvector",
    "postgis",
    "postgres",
    "postgresql",
    "qdrant",
    "rabbitmq",
    "redis",
    "solr",
    "timescaledb",
    "valkey",
];

/// Whether an image is known as one of a database, a queue or another store: `postgres:16`, `registry.example/library/redis`.
pub fn is_store(image: &str) -> bool {
    let name = image.split('@').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let name = name.split(':').next().unwrap_or_default();
    STORES.contains(&name)
}
