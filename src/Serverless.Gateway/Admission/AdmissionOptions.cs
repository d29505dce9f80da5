using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Serverless.Gateway.Admission;

/// <summary>Limits of what the gateway takes in.</summary>
public sealed partial class AdmissionOptions
{
    public const string Section = "Gateway:Admission";

    /// <summary>Longest body in bytes; a longer one is refused with 413 unread. Default: 16 MiB.</summary>
    [Range(1024, int.MaxValue)]
    public long MaxBodyBytes { get; set; } = 16 * 1024 * 1024;

    /// <summary>
    /// Bytes of bodies that this process holds at once, of all requests in flight to all models; taken before a body is read and given back when its answer has ended. One organization holds
    /// at most as much as it leaves free, so half when it is alone; more is refused with 429. Default: 512 MiB.
    /// </summary>
    [Range(1024, long.MaxValue)]
    public long MaxTotalBytes { get; set; } = 512L << 20;

    /// <summary>
    /// Most bytes that a request's output may take in the log, as estimated from its choices, its cap of tokens and the log-probabilities it asks for; more is refused with the field to lower.
    /// Default: 64 MiB.
    /// </summary>
    [Range(1024, long.MaxValue)]
    public long MaxOutputBytes { get; set; } = 64L << 20;

    /// <summary>Most choices one request may ask for: prompts × n. Each takes a slot of an engine. Default: 128.</summary>
    [Range(1, 65536)]
    public int MaxChoices { get; set; } = 128;

    /// <summary>How long a request may take when its client does not say. Default: 10 minutes.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan DefaultTimeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>The longest time a client may ask for; more is cut to it. Default: 1 hour.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan MaxTimeout { get; set; } = TimeSpan.FromHours(1);

    /// <summary>How long a request may take that is answered by an id (<c>Prefer: respond-async</c>, events), when its client does not say. Default: 1 hour.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan DefaultAsyncTimeout { get; set; } = TimeSpan.FromHours(1);

    /// <summary>What must hold between options.</summary>
    internal sealed class BetweenValidator : IValidateOptions<AdmissionOptions>
    {
        public ValidateOptionsResult Validate(string? name, AdmissionOptions options) => options.MaxTotalBytes / 2 >= options.MaxBodyBytes
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail($"{Section}:{nameof(MaxTotalBytes)} is {options.MaxTotalBytes}; it must be at least twice {nameof(MaxBodyBytes)}, {options.MaxBodyBytes}, or the longest body is never taken.");
    }

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<AdmissionOptions>;
}
