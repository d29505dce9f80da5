using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;
using Serverless.Files;

namespace Serverless.Hosting.Files;

/// <summary>Where the bytes of files are, and how many. Without a directory or a bucket the distributed shape takes no files; the embedded one keeps them in its data folder.</summary>
public sealed partial class FileStoreOptions
{
    public const string Section = "Files";

    /// <summary>A directory of files: of a gateway that is alone, or one that all gateways share. What is in it is theirs. Default: none; embedded: <c>files</c> in the data folder.</summary>
    public string? Directory { get; set; }

    /// <summary>An S3 bucket instead.</summary>
    public S3Options S3 { get; set; } = new();

    /// <summary>Bytes of the longest file; a longer one is refused with 413. Default: 200,000,000, as OpenAI takes for a batch.</summary>
    [Range(1, 50_000_000_000)]
    public long MaxFileBytes { get; set; } = new FileLimits().MaxFileBytes;

    /// <summary>Bytes of all files of one team; what would not fit is refused with 400. Default: 10,000,000,000.</summary>
    [Range(1, long.MaxValue)]
    public long MaxOwnerBytes { get; set; } = new FileLimits().MaxOwnerBytes;

    /// <summary>Files of one team. Default: 10,000.</summary>
    [Range(1, 100_000)]
    public int MaxOwnerFiles { get; set; } = new FileLimits().MaxOwnerFiles;

    /// <summary>How long files with the purposes <c>batch</c> and <c>batch_output</c> are kept when nobody says; others stay until they are deleted. Default: 30 days.</summary>
    [Range(typeof(TimeSpan), "01:00:00", "3650.00:00:00")]
    public TimeSpan DefaultExpiry { get; set; } = new FileLimits().DefaultExpiry;

    /// <summary>Uploads that this process receives at once; more are refused with 429. Over S3 each holds 8 MiB. Default: 16.</summary>
    [Range(1, 10_000)]
    public int MaxUploads { get; set; } = 16;

    /// <summary>How long one upload may take. Default: 1 hour.</summary>
    [Range(typeof(TimeSpan), "00:00:10", "12:00:00")]
    public TimeSpan UploadTimeout { get; set; } = TimeSpan.FromHours(1);

    /// <summary>The bounds among these.</summary>
    internal FileLimits Limits() => new() { MaxFileBytes = MaxFileBytes, MaxOwnerBytes = MaxOwnerBytes, MaxOwnerFiles = MaxOwnerFiles, DefaultExpiry = DefaultExpiry };

    internal sealed class ValueValidator : IValidateOptions<FileStoreOptions>
    {
        public ValidateOptionsResult Validate(string? name, FileStoreOptions options)
        {
            List<string> faults = [.. Faults(options), .. options.S3.Faults()];
            return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
        }

        private static IEnumerable<string> Faults(FileStoreOptions options)
        {
            if (options.MaxFileBytes > options.MaxOwnerBytes)
                yield return $"{Section}:{nameof(MaxFileBytes)} is {options.MaxFileBytes} and {nameof(MaxOwnerBytes)} is {options.MaxOwnerBytes}, so the longest file is never taken; raise the latter.";
            if (options.Directory is { Length: > 0 } directory && options.S3.Bucket is { Length: > 0 } bucket)
                yield return $"{Section}:{nameof(Directory)} is '{directory}' and {Section}:{nameof(S3)}:{nameof(S3Options.Bucket)} is '{bucket}': files are kept in one place, so leave one of them out.";
            if (options.Directory is { Length: > 0 } file && File.Exists(file))
                yield return $"{Section}:{nameof(Directory)} is '{file}', which is a file; give a folder, which is made where there is none.";
        }
    }

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<FileStoreOptions>;
}
