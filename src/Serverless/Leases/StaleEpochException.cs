using Serverless.Catalog;

namespace Serverless.Leases;

/// <summary>Another dispatcher of the model has begun to work with a higher epoch: this one stops.</summary>
internal sealed class StaleEpochException(ModelName model, long epoch) : Exception($"Epoch {epoch} of the dispatcher of '{model}' is stale: another one has taken over.");
