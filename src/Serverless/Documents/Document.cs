namespace Serverless.Documents;

/// <summary>A stored document.</summary>
/// <param name="Key">Its name.</param>
/// <param name="Json">Its content, JSON.</param>
/// <param name="ETag">Changes with every save; opaque.</param>
public sealed record Document(DocumentKey Key, ReadOnlyMemory<byte> Json, string ETag);
