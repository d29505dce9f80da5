using Serverless.Documents;

namespace Serverless.Gateway.Promises;

/// <summary>A record and the document it was read from.</summary>
internal readonly record struct StoredRecord(RequestRecord Record, Document Document);
