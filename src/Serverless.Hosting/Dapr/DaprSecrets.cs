using Dapr.Client;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Dapr;

/// <summary>Reads secrets from the sidecar's secret store. Values are never logged. Thread-safe.</summary>
public sealed class DaprSecrets
{
    private readonly DaprClient _client;
    private readonly DaprCalls _calls;
    private readonly string _store;

    internal DaprSecrets(DaprClient client, DaprCalls calls, IOptions<DaprOptions> options)
    {
        _client = client;
        _calls = calls;
        _store = options.Value.SecretStore;
    }

    /// <summary>The secret's entries by name; empty when there is no such secret or it may not be read.</summary>
    /// <exception cref="Errors.ServingException"><see cref="Errors.ServingError.StoreUnavailable"/>: the secret store or the sidecar cannot be reached.</exception>
    public async Task<IReadOnlyDictionary<string, string>> ReadAsync(string secret, CancellationToken cancellationToken) =>
        await _calls.RunAsync<IReadOnlyDictionary<string, string>>($"The secret store", async token => await _client.GetSecretAsync(_store, secret, null, token), cancellationToken);
}
