using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Serverless.Gateway.Requests;

/// <summary>Answers by an id.</summary>
public sealed partial class PromiseOptions
{
    public const string Section = "Gateway:Promises";

    /// <summary>An answer in one piece that takes longer is given an id (202) although its client did not ask for one; OpenAI's SDKs do not expect that. Default: none.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan? LongestSynchronous { get; set; }

    /// <summary>How long a result is kept after its end. Raising it costs as much room in the document store. Default: 3 days.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "365.00:00:00")]
    public TimeSpan KeepResults { get; set; } = TimeSpan.FromDays(3);

    /// <summary>How long an <c>Idempotency-Key</c> stands for the same request; its answer is kept no longer than <see cref="KeepResults"/>. Default: 1 day.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "30.00:00:00")]
    public TimeSpan KeepKeys { get; set; } = TimeSpan.FromDays(1);

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<PromiseOptions>;
}
