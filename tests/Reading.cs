namespace Serverless;

/// <summary>Reading a stream in a test that may give up waiting: the enumerator behind it is not disposed of while it moves, which would hide why the test gave up.</summary>
internal static class Reading
{
    /// <summary>In place of <see cref="IAsyncEnumerable{T}.GetAsyncEnumerator"/>.</summary>
    public static IAsyncEnumerator<T> Enumerate<T>(this IAsyncEnumerable<T> source, CancellationToken cancellationToken) => new Reader<T>(source, cancellationToken);

    private sealed class Reader<T> : IAsyncEnumerator<T>
    {
        private readonly CancellationTokenSource _stop;
        private readonly IAsyncEnumerator<T> _source;
        private Task<bool>? _moving;

        public Reader(IAsyncEnumerable<T> source, CancellationToken cancellationToken)
        {
            _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            _source = source.GetAsyncEnumerator(_stop.Token);
        }

        public T Current => _source.Current;

        /// <summary>A move that was not waited for to its end is the next one too.</summary>
        public ValueTask<bool> MoveNextAsync()
        {
            if (_moving is not { IsCompleted: false }) _moving = _source.MoveNextAsync().AsTask();
            return new ValueTask<bool>(_moving);
        }

        public async ValueTask DisposeAsync()
        {
            if (_moving is { IsCompleted: false } moving)
            {
                await _stop.CancelAsync();
                await ((Task)moving).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            await _source.DisposeAsync();
            _stop.Dispose();
        }
    }
}
