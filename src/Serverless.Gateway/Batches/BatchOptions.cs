using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Serverless.Gateway.Batches;

/// <summary>Batches of requests in files.</summary>
public sealed partial class BatchOptions
{
    public const string Section = "Gateway:Batches";

    /// <summary>Lines of one batch. Default: 50,000, as OpenAI has it.</summary>
    [Range(1, 10_000_000)]
    public int MaxLines { get; set; } = 50_000;

    /// <summary>Lines of one batch that are asked for at once, at most; as many as replicas take, for it grows and shrinks by what they refuse. Default: 256.</summary>
    [Range(1, 10_000)]
    public int MaxAtOnce { get; set; } = 256;

    /// <summary>Batches that one gateway runs at once; the others wait, or run on another. Default: 16.</summary>
    [Range(1, 1000)]
    public int MaxRunning { get; set; } = 16;

    /// <summary>Batches of one organization that are not at their end, as far as this gateway knows of them: about so many; more are refused. Default: 1,000.</summary>
    [Range(1, 100_000)]
    public int MaxOpen { get; set; } = 1000;

    /// <summary>Results that are kept in one write. Raising it saves writes; a gateway that is lost loses at most so many answers, which are made again. Default: 256.</summary>
    [Range(1, 10_000)]
    public int CommitLines { get; set; } = 256;

    /// <summary>Results are written no later than this after the first of them, at first; a batch that takes long writes less often. Default: 10 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    public TimeSpan CommitInterval { get; set; } = TimeSpan.FromSeconds(10);

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<BatchOptions>;
}
