using Serverless.Catalog;

namespace Serverless.Requests;

/// <summary>The head of a request's log, written by whoever takes the promise, before the request is enqueued.</summary>
/// <param name="Model">Whose lease epoch guards it.</param>
/// <param name="Promise">Who owes the answer.</param>
/// <param name="Holder">Name of the holder: a gateway's for a connection.</param>
/// <param name="Deadline">An ended log is kept beyond then.</param>
public sealed record LogHead(ModelName Model, Promise Promise, string Holder, DateTimeOffset Deadline);
