namespace Serverless.Tenancy;

/// <summary>Port: the API keys there are. A file; a secret store. Safe for any number of callers.</summary>
public interface IApiKeySource
{
    /// <summary>The keys as they are now, kept fresh by the source and never waited for; null: this process asks for no key.</summary>
    ApiKeyTable? Current { get; }
}
