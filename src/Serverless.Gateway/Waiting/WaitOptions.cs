using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Serverless.Gateway.Waiting;

/// <summary>What is assumed of waiting where nothing was measured yet. Nothing is refused by these figures.</summary>
public sealed partial class WaitOptions
{
    public const string Section = "Gateway:Waiting";

    /// <summary>A pool's first cold start, where its engine cannot tell it by the model's file: of containers. Default: 30 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan ColdStart { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Tokens per second that a ready replica takes up; 0: no estimate is given before one was measured. Default: 0.</summary>
    [Range(0, 1e9)]
    public double TokensPerSecond { get; set; }

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<WaitOptions>;
}
