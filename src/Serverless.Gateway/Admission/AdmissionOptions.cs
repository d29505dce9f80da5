using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Serverless.Gateway.Admission;

/// <summary>Limits of what the gateway takes in.</summary>
public sealed partial class AdmissionOptions
{
    public const string Section = "Gateway:Admission";

    /// <summary>Longest body in bytes; a longer one is refused with 413 unread. Raising it costs that much memory per request in flight. Default: 16 MiB.</summary>
    [Range(1024, int.MaxValue)]
    public long MaxBodyBytes { get; set; } = 16 * 1024 * 1024;

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

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<AdmissionOptions>;
}
