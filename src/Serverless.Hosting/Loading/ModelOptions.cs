using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Loading;

/// <summary>Where models come from, and where their files are kept on this machine.</summary>
public sealed partial class ModelOptions
{
    public const string Section = "Models";

    /// <summary>Folder of the files that were pulled, on a disk of this machine, shared by all processes of it. Default: <c>serverless/models</c> in the user's cache folder (<c>XDG_CACHE_HOME</c>, <c>~/.cache</c>).</summary>
    public string? Directory { get; set; }

    /// <summary>Bytes of it, at most; the models unused for longest make room, those in use never. 0: as many as the disk has. Default: 0.</summary>
    [Range(0, long.MaxValue)]
    public long MaxBytes { get; set; }

    /// <summary>Bytes of its disk that are left free. Default: 1,073,741,824.</summary>
    [Range(0, long.MaxValue)]
    public long MinFreeBytes { get; set; } = 1L << 30;

    /// <summary>Connections of one pull, over all its files and parts of files. Default: 8.</summary>
    [Range(1, 64)]
    public int Connections { get; set; } = 8;

    /// <summary>Bytes that are asked for at once; a file that is longer is asked for in parts, over several connections. Default: 33,554,432.</summary>
    [Range(4096, 1 << 30)]
    public int SegmentBytes { get; set; } = 32 << 20;

    /// <summary>A connection that brings less than 1 KiB in so long is broken off and made anew. Default: 30 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Failures in a row that brought nothing, after which a file is given up; a replica that loads tries again later. Default: 8.</summary>
    [Range(1, 100)]
    public int MaxFailures { get; set; } = 8;

    /// <summary>The first pause after a failure; each one more that brought nothing doubles it, up to a minute. A server's <c>Retry-After</c> counts up to a minute too. Default: 1 second.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:01:00")]
    public TimeSpan FirstPause { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Hugging Face, or a mirror of it.</summary>
    public HubOptions HuggingFace { get; set; } = new();

    /// <summary>ModelScope.</summary>
    public HubOptions ModelScope { get; set; } = new();

    /// <summary>The registry of <c>ollama://</c>.</summary>
    public HubOptions Ollama { get; set; } = new();

    /// <summary>S3 and what speaks its language.</summary>
    public BucketOptions S3 { get; set; } = new();

    /// <summary>Google Cloud Storage, by its S3 interface and HMAC keys.</summary>
    public BucketOptions Gcs { get; set; } = new();

    /// <summary>Alibaba Cloud OSS, by its S3 interface.</summary>
    public BucketOptions Oss { get; set; } = new();

    /// <summary>Where it is when nobody says.</summary>
    internal static string DefaultDirectory
    {
        get
        {
            var cache = HubAnswers.Variable("XDG_CACHE_HOME") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify), ".cache");
            return Path.GetFullPath(Path.Combine(cache, "serverless", "models"));
        }
    }

    internal sealed class ValueValidator : IValidateOptions<ModelOptions>
    {
        public ValidateOptionsResult Validate(string? name, ModelOptions options)
        {
            List<string> faults =
            [
                .. options.HuggingFace.Faults(nameof(HuggingFace)), .. options.ModelScope.Faults(nameof(ModelScope)), .. options.Ollama.Faults(nameof(Ollama)),
                .. options.S3.Faults(nameof(S3)), .. options.Gcs.Faults(nameof(Gcs)), .. options.Oss.Faults(nameof(Oss)),
            ];
            if (options.Directory is { Length: > 0 } file && File.Exists(file)) faults.Add($"{Section}:{nameof(Directory)} is '{file}', which is a file; give a folder, which is made where there is none.");
            return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
        }
    }

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<ModelOptions>;
}

/// <summary>A hub of models.</summary>
public sealed class HubOptions
{
    /// <summary>Its address. Default: the environment's (<c>HF_ENDPOINT</c>, <c>MODELSCOPE_ENDPOINT</c>, <c>OLLAMA_REGISTRY</c>), and else the hub's own.</summary>
    public Uri? Endpoint { get; set; }

    /// <summary>The token it is asked with, best from the environment. Default: the environment's (<c>HF_TOKEN</c>, <c>MODELSCOPE_API_TOKEN</c>), and else none.</summary>
    public string? Token { get; set; }

    internal IEnumerable<string> Faults(string hub)
    {
        if (Endpoint is { } endpoint && !(endpoint is { IsAbsoluteUri: true, Scheme: "http" or "https" })) yield return $"{ModelOptions.Section}:{hub}:{nameof(Endpoint)} is '{endpoint}'; give https://HOST, with a path where it has one.";
        if (Token is { } token && token.Any(static character => character is <= ' ' or > '~')) yield return $"{ModelOptions.Section}:{hub}:{nameof(Token)} holds a character that no token has, such as a space or a line's end; give the token alone.";
    }
}

/// <summary>A store of buckets.</summary>
public sealed class BucketOptions
{
    /// <summary>Its address, where it is not the cloud's own: <c>http://minio:9000</c>. Default: none.</summary>
    public Uri? Endpoint { get; set; }

    /// <summary>Its region, which signatures name. Default: none, and the environment's (<c>AWS_REGION</c>), <c>us-east-1</c> for S3, <c>auto</c> elsewhere.</summary>
    public string? Region { get; set; }

    /// <summary>Id of the access key. Default: none, and the environment's (<c>AWS_ACCESS_KEY_ID</c>, of OSS <c>OSS_ACCESS_KEY_ID</c>); of S3 and GCS what else the SDK's chain finds.</summary>
    public string? AccessKey { get; set; }

    /// <summary>Its secret, best from the environment.</summary>
    public string? SecretKey { get; set; }

    internal IEnumerable<string> Faults(string store)
    {
        if (Endpoint is { } endpoint && !(endpoint is { IsAbsoluteUri: true, Scheme: "http" or "https", AbsolutePath: "/" })) yield return $"{ModelOptions.Section}:{store}:{nameof(Endpoint)} is '{endpoint}'; give http://HOST:PORT or https://HOST:PORT without a path.";
        if (string.IsNullOrEmpty(AccessKey) != string.IsNullOrEmpty(SecretKey)) yield return $"{ModelOptions.Section}:{store}:{nameof(AccessKey)} and {ModelOptions.Section}:{store}:{nameof(SecretKey)} go together: set both, or neither.";
    }
}
