using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Keys;

/// <summary>Where the API keys are. Neither named: no key is asked for, and the start says so.</summary>
public sealed partial class ApiKeyOptions
{
    public const string Section = "Keys";

    /// <summary>A file of keys; read again when it changes. Default: none.</summary>
    public string? File { get; set; }

    /// <summary>Name of a secret in the sidecar's secret store, whose entries are lines of keys. Default: none.</summary>
    public string? Secret { get; set; }

    /// <summary>How often the secret is read again: for so long a revoked key still works. Lowering it costs reads. Default: 30 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan Refresh { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the start waits for the secret. Default: 60 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan StartTimeout { get; set; } = TimeSpan.FromSeconds(60);

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<ApiKeyOptions>;

    internal sealed class ValueValidator : IValidateOptions<ApiKeyOptions>
    {
        public ValidateOptionsResult Validate(string? name, ApiKeyOptions options)
        {
            if (options is { File: not null, Secret: not null }) return ValidateOptionsResult.Fail($"{Section}:{nameof(File)} and {Section}:{nameof(Secret)} are both given; name one place for the keys.");
            return options.File is { } file && !System.IO.File.Exists(file) ? ValidateOptionsResult.Fail($"{Section}:{nameof(File)} is '{file}', which does not exist.") : ValidateOptionsResult.Success;
        }
    }
}
