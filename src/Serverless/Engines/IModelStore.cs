using Serverless.Catalog;

namespace Serverless.Engines;

/// <summary>Port: brings the files of a model to this machine, once for all who ask, and holds them while they are used.</summary>
public interface IModelStore
{
    /// <summary>The model's files here; pulled where they are not yet.</summary>
    /// <param name="source">Where they come from.</param>
    /// <param name="progress">Told the share of the bytes that is here, 0 to 1, while they are pulled.</param>
    /// <param name="cancellationToken">Gives up waiting; what arrived stays for the next one.</param>
    /// <exception cref="ModelPullException">They cannot be had; the message says why and what helps.</exception>
    Task<HeldModel> HoldAsync(ModelSource source, IProgress<double> progress, CancellationToken cancellationToken);
}

/// <summary>A model whose files are here, and stay until this is disposed of.</summary>
/// <param name="path">A file or a folder of this machine.</param>
/// <param name="hold">Let go with it.</param>
public sealed class HeldModel(string path, IDisposable? hold = null) : IDisposable
{
    /// <summary>What an engine is given.</summary>
    public string Path => path;

    /// <inheritdoc/>
    public void Dispose() => hold?.Dispose();
}

/// <summary>A model whose files cannot be had.</summary>
public sealed class ModelPullException(string message, Exception? inner = null) : Exception(message, inner);
