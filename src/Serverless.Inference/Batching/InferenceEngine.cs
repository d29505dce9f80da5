using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Serverless.Inference.Models;

namespace Serverless.Inference.Batching;

/// <summary>
/// Generates many sequences at once on one model: continuous batching. Each pass decodes a token for every running sequence and reads a chunk of the prompts that wait
/// (Orca, OSDI 2022; Sarathi-Serve, OSDI 2024). What a sequence gives does not depend on what runs beside it. Thread-safe.
/// </summary>
/// <remarks>
/// Requests of one tenant that begin alike share pages of the KV cache, while it runs and after it has ended, until the room is needed. When the cache is full the youngest sequence of the lowest lane gives way
/// and comes back later, over what is left of its pages: since a token's numbers depend on the tokens before it alone, it continues exactly where it was.
/// </remarks>
public sealed class InferenceEngine : IAsyncDisposable
{
    private readonly InferenceModel _model;
    private readonly InferenceEngineOptions _options;
    private readonly int _context;
    private readonly ConcurrentQueue<Sequence> _arrivals = new();
    private readonly SemaphoreSlim _work = new(0);
    private readonly BatchScheduler _scheduler;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile Exception? _fault;
    private volatile bool _stopping;

    /// <summary>Starts an engine on a model, which must outlive it.</summary>
    public InferenceEngine(InferenceModel model, InferenceEngineOptions options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        (_model, _options) = (model, options);
        _context = options.ContextTokens > 0 ? Math.Min(options.ContextTokens, model.Config.Context) : model.Config.Context;
        _context = Math.Min(_context, options.KvTokens); // every one of them: whoever admits requests knows of no pages
        _scheduler = new BatchScheduler(model, options, _context, time);
        new Thread(Loop) { IsBackground = true, Name = "inference-0" }.Start();
    }

    /// <summary>Longest sequence in tokens: the model's context, or less where the KV cache is smaller.</summary>
    public int ContextTokens => _context;

    /// <summary>Completes when the engine has failed and serves no more; never while it runs, nor when it is disposed.</summary>
    public Task Failed => _failed.Task;

    /// <summary>What it does now.</summary>
    public EngineLoad Load => _scheduler.Load;

    /// <summary>How often a sequence has given its room to others.</summary>
    internal int Preemptions => _scheduler.Preemptions;

    /// <summary>Generates a sequence, a step a token; cancelled, it stops within two passes and gives its room back.</summary>
    /// <exception cref="ArgumentException">The prompt is empty, names a token that is not in the vocabulary, or leaves no room for output.</exception>
    /// <exception cref="InvalidOperationException">The engine has failed or was disposed.</exception>
    public IAsyncEnumerable<GenerationStep> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        Validate(request);
        var sequence = new Sequence(request, _model.Tokenizer, _context, cancellationToken);
        _arrivals.Enqueue(sequence);
        if (_stopping || _fault is not null) sequence.Steps.Writer.TryComplete(Gone());
        else _work.Release();
        return sequence.Steps.Reader.ReadAllAsync(cancellationToken);
    }

    /// <summary>Stops; what runs ends with an error. The model is not disposed.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_stopping)
        {
            _stopping = true;
            _work.Release();
        }

        await _stopped.Task;
    }

    private void Validate(GenerationRequest request)
    {
        var given = request.Prompt.Count + request.Emitted.Count;
        if (request.Prompt.Count == 0) throw new ArgumentException("The prompt has no token; give at least one.", nameof(request));
        if (given >= _context) throw new ArgumentException($"Prompt and output so far are {given} tokens; the context of {_context} leaves no room for more.", nameof(request));
        if (request.MaxTokens <= request.Emitted.Count) throw new ArgumentException($"MaxTokens is {request.MaxTokens} and {request.Emitted.Count} are emitted already; it must be larger.", nameof(request));
        foreach (var token in request.Prompt.Concat(request.Emitted))
        {
            if ((uint)token >= (uint)_model.Config.Vocabulary) throw new ArgumentException($"Token {token} is not in the vocabulary of {_model.Config.Vocabulary}.", nameof(request));
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = "A fault ends every sequence with its reason; none may hang.")]
    private void Loop()
    {
        try
        {
            while (!_stopping)
            {
                while (_arrivals.TryDequeue(out var sequence)) _scheduler.Add(sequence);
                if (!_scheduler.Step()) _work.Wait();
            }
        }
        catch (Exception exception)
        {
            _fault = exception;
        }

        if (_fault is not null) _failed.SetResult(); // first: whoever sees a sequence end can tell why
        while (_arrivals.TryDequeue(out var sequence)) _scheduler.Add(sequence);
        _scheduler.Fail(Gone());
        _scheduler.Dispose();
        _stopped.SetResult();
    }

    private InvalidOperationException Gone() =>
        _fault is { } fault ? new InvalidOperationException($"The engine has failed: {fault.Message}", fault) : new InvalidOperationException("The engine was stopped.");
}
